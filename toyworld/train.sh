#!/usr/bin/env bash
# Trains the embedded model from nothing and installs it: toyworld/train.sh [RUN_FOLDER]
# Every stage resumes where it was stopped; run it again until it says "installed".
# Sizes come from the environment: CLIPS (in each of SHARDS banks), FRAMES, CODEC_STEPS (the whole autoencoder),
# VAE_STEPS (its decoder alone; 0: leave it), BASE_STEPS, ADAPTER_STEPS, BASE_MINUTES and ADAPTER_MINUTES (at most so
# long), FIRST_SEED, BATCH, WORKERS, COMPILE (empty: no), and PYTHON. START names a model folder, such as src/iclora/tiny,
# whose autoencoder is kept and whose base is trained on. With several GPUs the banks are spread over them, and the
# decoder trains on the last one while the base trains on the first.
set -euo pipefail
cd "$(dirname "$0")/.."
RUN=${1:-runs/tiny}
PYTHON=${PYTHON:-.venv/bin/python}
START=${START:-} SHARDS=${SHARDS:-4} CLIPS=${CLIPS:-1500} WORKERS=${WORKERS:-4}
GPUS=$("$PYTHON" -c 'import torch; print(max(1, torch.cuda.device_count()))')
COMPILE=${COMPILE-$("$PYTHON" -c 'import torch; print("--compile" * torch.cuda.is_available())')}
export PYTHONPATH=src:.${PYTHONPATH:+:$PYTHONPATH}

# Each stage is a job of its own, so that all of them end with this script.
trap 'jobs -p | xargs -r kill 2>/dev/null || true' EXIT
on_gpu() { CUDA_VISIBLE_DEVICES=$1 exec "$PYTHON" -m "${@:2}"; }
run() { "$@" & wait $!; }
each_shard() { # runs "$1 SHARD GPU" for all shards at once; fails if one does
  local started=() job
  for shard in $(seq 0 $((SHARDS - 1))); do
    "$1" "$shard" $((shard % GPUS)) & started+=($!)
  done
  for job in "${started[@]}"; do wait "$job"; done
}
fill() { # FOLDER CLIPS FIRST_SEED SHARD GPU
  on_gpu "$5" toyworld.bank "$RUN/$1/$4" --clips "$2" --frames "${FRAMES:-33}" --first-seed $((1000000 * $4 + $3))
}
fill_first() { fill first $((600 / SHARDS < CLIPS ? 600 / SHARDS : CLIPS)) 500000 "$@"; }
fill_shard() { fill bank "$CLIPS" "${FIRST_SEED:-0}" "$@"; }
encode_shard() { on_gpu "$2" toyworld.latents "$RUN/bank/$1" "$RUN/vae/start" --workers "$WORKERS"; }
train_codec() {
  on_gpu $((GPUS - 1)) toyworld.train_vae "$RUN/first" "$RUN/codec" --workers "$WORKERS" \
    ${CODEC_STEPS:+--steps "$CODEC_STEPS"}
}
train_decoder() {
  [ "${VAE_STEPS:-}" != 0 ] || return 0
  on_gpu $((GPUS - 1)) toyworld.train_vae "$RUN/bank" "$RUN/vae" --freeze-encoder --workers "$WORKERS" \
    ${VAE_STEPS:+--steps "$VAE_STEPS"}
}
train_base() { on_gpu 0 toyworld.train_base "$RUN/bank" "$@" ${BATCH:+--batch "$BATCH"} $COMPILE; }

codec=
if [ -z "$START" ]; then
  each_shard fill_first
  train_codec & codec=$!
fi
each_shard fill_shard
[ -z "$codec" ] || wait "$codec"
if [ ! -d "$RUN/vae/start" ]; then
  mkdir -p "$RUN/vae"
  cp -r "${START:-$RUN/codec}/vae" "$RUN/vae/new"
  mv "$RUN/vae/new" "$RUN/vae/start"
fi
each_shard encode_shard
[ -d "$RUN/vae/vae" ] || [ "${VAE_STEPS:-}" != 0 ] || cp -r "$RUN/vae/start" "$RUN/vae/vae"
train_decoder & decoder=$!
[ "$GPUS" -gt 1 ] || wait "$decoder" # one GPU: one after the other, so that the minutes below hold
run train_base "$RUN/base" --vae "$RUN/vae/start" ${START:+--start "$START"} \
  ${BASE_STEPS:+--steps "$BASE_STEPS"} ${BASE_MINUTES:+--minutes "$BASE_MINUTES"}
run train_base "$RUN/adapter" --adapter "$RUN/base/model" --muon 0 --adam 2e-3 \
  ${ADAPTER_STEPS:+--steps "$ADAPTER_STEPS"} ${ADAPTER_MINUTES:+--minutes "$ADAPTER_MINUTES"}
wait "$decoder"

rm -rf src/iclora/tiny
mkdir -p src/iclora/tiny/adapters
cp -r "$RUN/base/model/." src/iclora/tiny/
cp -r "$RUN/vae/vae" src/iclora/tiny/
cp "$RUN/adapter/canny.safetensors" src/iclora/tiny/adapters/
"$PYTHON" -m toyworld.curves "$RUN" docs/training.png
echo "installed in src/iclora/tiny; now: make adherence"
