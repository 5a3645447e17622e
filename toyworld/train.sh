#!/usr/bin/env bash
# Trains the embedded model from nothing and installs it: toyworld/train.sh [RUN_FOLDER]
# Every stage resumes where it was stopped; run it again until it says "installed".
# Sizes come from the environment: CLIPS, FRAMES, VAE_STEPS, BASE_STEPS, ADAPTER_STEPS, BATCH, WORKERS, and PYTHON.
set -euo pipefail
cd "$(dirname "$0")/.."
RUN=${1:-runs/tiny}
PYTHON=${PYTHON:-.venv/bin/python}
SHARED="--batch ${BATCH:-32} --workers ${WORKERS:-8}"
export PYTHONPATH=src:.

"$PYTHON" -m toyworld.bank "$RUN/bank" --clips "${CLIPS:-6000}" --frames "${FRAMES:-33}"
"$PYTHON" -m toyworld.train_vae "$RUN/bank" "$RUN/vae" --steps "${VAE_STEPS:-20000}" $SHARED
"$PYTHON" -m toyworld.latents "$RUN/bank" "$RUN/vae/vae"
"$PYTHON" -m toyworld.train_base "$RUN/bank" "$RUN/base" --vae "$RUN/vae/vae" \
  --steps "${BASE_STEPS:-20000}" $SHARED
"$PYTHON" -m toyworld.train_base "$RUN/bank" "$RUN/adapter" --adapter "$RUN/base/model" \
  --steps "${ADAPTER_STEPS:-6000}" $SHARED --adam 2e-3

rm -rf src/iclora/tiny
mkdir -p src/iclora/tiny/adapters
cp -r "$RUN/base/model/." src/iclora/tiny/
cp "$RUN/adapter/canny.safetensors" src/iclora/tiny/adapters/
"$PYTHON" -m toyworld.curves "$RUN" docs/training.png
echo "installed in src/iclora/tiny; now: make adherence"
