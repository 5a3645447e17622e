#!/usr/bin/env bash
# Trains the embedded model from nothing and installs it: toyworld/train.sh [RUN_FOLDER]
# Every stage resumes where it was stopped; run it again until it says "installed".
#
#   bank ─► autoencoder ─► latents ─► base, small pictures ─► base ─► canny ─► canny led ─► canny judged
#
# Sizes come from the environment: CLIPS (in each of SHARDS banks), FRAMES, FIRST_SEED, WORKERS, BATCH, COMPILE (empty:
# no), PYTHON; for the stages in their order CODEC_STEPS (the whole autoencoder), VAE_STEPS (then its decoder alone; 0:
# not), SMALL_, BASE_, ADAPTER_, LED_ and JUDGED_STEPS, and with the same names _MINUTES, at most so long. GUIDANCE is the
# scale that the adapter learns by heart, REACH how far it then goes towards what feedback teaches.
# START names a model folder, such as src/iclora/tiny, whose autoencoder is kept and whose base is trained on.
# Several GPUs share all stages but the autoencoder's.
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
each_shard() { # runs "$@ SHARD GPU" for all shards at once; fails if one does
  local started=() job
  for shard in $(seq 0 $((SHARDS - 1))); do
    "$@" "$shard" $((shard % GPUS)) & started+=($!)
  done
  for job in "${started[@]}"; do wait "$job"; done
}
fill() { # FOLDER CLIPS FIRST_SEED SHARD GPU
  on_gpu "$5" toyworld.bank "$RUN/$1/$4" --clips "$2" --frames "${FRAMES:-33}" --first-seed $((1000000 * $4 + $3))
}
encode() { on_gpu "$2" toyworld.latents "$RUN/bank/$1" "$RUN/vae/start" --workers "$WORKERS"; }
train_codec() {
  on_gpu $((GPUS - 1)) toyworld.train_vae "$RUN/first" "$RUN/codec" --workers "$WORKERS" \
    ${CODEC_STEPS:+--steps "$CODEC_STEPS"}
}
train_decoder() {
  on_gpu 0 toyworld.train_vae "$RUN/bank" "$RUN/vae" --freeze-encoder --workers "$WORKERS" --steps "$VAE_STEPS"
}
stage() { # NAME FOLDER [OPTION]...: a stage of train_base on all GPUs, as long as NAME_STEPS and NAME_MINUTES say
  local steps=$1_STEPS minutes=$1_MINUTES alone=(-m toyworld.train_base) shared
  [ ! -e "$RUN/$2/model" ] && [ ! -e "$RUN/$2/canny.safetensors" ] || return 0
  shared=(-m torch.distributed.run --standalone --nproc-per-node "$GPUS" "${alone[@]}")
  [ "$GPUS" -gt 1 ] || shared=("${alone[@]}")
  "$PYTHON" "${shared[@]}" "$RUN/bank" "$RUN/$2" ${BATCH:+--batch "$BATCH"} "${@:3}" $COMPILE \
    ${!steps:+--steps "${!steps}"} ${!minutes:+--minutes "${!minutes}"} & wait $!
}

codec=
if [ -z "$START" ]; then
  each_shard fill first $((600 / SHARDS < CLIPS ? 600 / SHARDS : CLIPS)) 500000
  train_codec & codec=$!
fi
each_shard fill bank "$CLIPS" "${FIRST_SEED:-0}"
[ -z "$codec" ] || wait "$codec"
if [ ! -d "$RUN/vae/start" ]; then
  mkdir -p "$RUN/vae"
  cp -r "${START:-$RUN/codec}/vae" "$RUN/vae/new"
  mv "$RUN/vae/new" "$RUN/vae/start"
fi
each_shard encode
if [ "${VAE_STEPS:-0}" != 0 ]; then train_decoder & wait $!; fi
[ -d "$RUN/vae/vae" ] || cp -r "$RUN/vae/start" "$RUN/vae/vae"

vae=(--vae "$RUN/vae/vae") canny=(--adapter "$RUN/base/model" --muon 0)
stage SMALL small "${vae[@]}" --small ${START:+--begin "$START"}
stage BASE base "${vae[@]}" --begin "$RUN/small/model"
stage ADAPTER adapter "${canny[@]}" --adam 2e-3
stage LED led "${canny[@]}" --adam 5e-4 --begin "$RUN/adapter/canny.safetensors" \
  --guidance "${GUIDANCE:-3}" --on-schedule 0.5
stage JUDGED judged "${canny[@]}" --adam 5e-4 --begin "$RUN/led/canny.safetensors" --feedback \
  --reach "${REACH:-0.75}"

rm -rf src/iclora/tiny
mkdir -p src/iclora/tiny/adapters
cp -r "$RUN/base/model/." src/iclora/tiny/
"$PYTHON" -m toyworld.resize "$RUN/judged/canny.safetensors" src/iclora/tiny/adapters/canny.safetensors --rank 12
"$PYTHON" -m toyworld.curves "$RUN" docs/training.png
echo "installed in src/iclora/tiny; now: make adherence"
