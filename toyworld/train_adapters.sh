#!/usr/bin/env bash
# Trains the embedded adapters with `iclora train` and installs them: toyworld/train_adapters.sh [RUN_FOLDER]
# Every stage resumes where it was stopped; run it again until it says "installed". What an older version left in
# RUN_FOLDER is taken as done.
#
#   pairs ─┬─► union, first ─┬─► union, judged
#          │                 └─► union-one-way, first ─► union-one-way, judged
#          └─► tracks, first ─► tracks, judged ─► pairs in one style ─► risograph
#
# The first of these lines has half of the GPUs, tracks, risograph and then union-one-way have the other half; with one
# GPU they come one after the other. The settings are those of toyworld/adapters/*.yaml, and of JUDGED and TRACKS_JUDGED
# below for what is judged. From the environment come CLIPS, STYLE_CLIPS, HELD_OUT, SIZE, FRAMES, FIRST_SEED, GUESSED (see
# toyworld.pairs), PARTS (processes that render), MODEL, PYTHON, SET (what is set over all settings: "compile=false
# data.batch_size=32"), INSTALL (where to; empty: nowhere), ADAPTERS (which of the four), and for the stages UNION_,
# UNION_JUDGED_, TRACKS_, TRACKS_JUDGED_, STYLE_, ONE_WAY_ and ONE_WAY_JUDGED_STEPS or _MINUTES: so long its steps may
# take, measured by PROBE steps before it. Loading and compiling come on top.
set -euo pipefail
cd "$(dirname "$0")/.."
RUN=${1:-runs/adapters}
PYTHON=${PYTHON:-.venv/bin/python} MODEL=${MODEL:-tiny} PROBE=${PROBE:-60}
ADAPTERS=${ADAPTERS:-union tracks risograph union-one-way}
GPUS=$("$PYTHON" -c 'import torch; print(max(1, torch.cuda.device_count()))')
PARTS=${PARTS:-$((8 * GPUS))}
JUDGED=${JUDGED-feedback.weight=1 feedback.crop=256 data.batch_size=64 optimizer.learning_rate=5e-4}
TRACKS_JUDGED=${TRACKS_JUDGED-feedback.weight=2 feedback.crop=192 data.batch_size=64 optimizer.learning_rate=1e-3}
export PYTHONPATH=src:.${PYTHONPATH:+:$PYTHONPATH}

trap 'jobs -p | xargs -r kill 2>/dev/null || true' EXIT
gpus() { # FIRST [LAST]: those of the ones that are to be seen
  local seen=${CUDA_VISIBLE_DEVICES:-$(seq -s, 0 $((GPUS - 1)))}
  cut -d, "-f$(($1 + 1))-$((${2:-$1} + 1))" <<<"$seen"
}
pairs() { # CLIPS [OPTION]...: renders and encodes in PARTS processes; fails if one does
  local started=() part job
  for part in $(seq 0 $((PARTS - 1))); do
    CUDA_VISIBLE_DEVICES=$(gpus $((part % GPUS))) "$PYTHON" -m toyworld.pairs "$RUN/pairs" --model "$MODEL" \
      --shard "$part/$PARTS" --clips "$@" ${HELD_OUT:+--held-out "$HELD_OUT"} ${SIZE:+--size "$SIZE"} \
      ${FRAMES:+--frames "$FRAMES"} ${FIRST_SEED:+--first-seed "$FIRST_SEED"} ${GUESSED:+--guessed "$GUESSED"} &
    started+=($!)
  done
  for job in "${started[@]}"; do wait "$job"; done
}
iclora_train() { # CONFIG [KEY=VALUE]...: on the GPUs of MINE
  local words=(-m iclora train "$1") change count
  count=$(wc -w <<<"${MINE//,/ }")
  for change in "model=$MODEL" "${@:2}" ${SET:-}; do words+=(--set "$change"); done
  [ "$count" -le 1 ] || words=(-m torch.distributed.run --standalone --nproc-per-node "$count" "${words[@]}")
  CUDA_VISIBLE_DEVICES=$MINE "$PYTHON" "${words[@]}" & wait $!
}
stage() { # VARIABLE FOLDER ADAPTER PAIRS [KEY=VALUE]...: as long as VARIABLE_STEPS or VARIABLE_MINUTES says
  local steps=$1_STEPS minutes=$1_MINUTES name=$2 config=toyworld/adapters/$3.yaml
  local said=("data.path=$RUN/pairs/$4" "${@:5}")
  [ ! -e "$RUN/$name/$3.safetensors" ] || return 0
  if [ -n "${!minutes:-}" ]; then
    if [ ! -e "$RUN/probe/$name.steps" ]; then
      iclora_train "$config" "${said[@]}" "output=$RUN/probe/$name" "steps=$PROBE" "save.every=$PROBE" \
        watch.held_out_every=0 "watch.log_every=$((PROBE / 2))"
      "$PYTHON" -m toyworld.minutes "$RUN/probe/$name/log.jsonl" "${!minutes}" >"$RUN/probe/$name.new"
      mv "$RUN/probe/$name.new" "$RUN/probe/$name.steps"
    fi
    said+=("steps=$(<"$RUN/probe/$name.steps")")
  elif [ -n "${!steps:-}" ]; then
    said+=("steps=${!steps}")
  fi
  iclora_train "$config" "${said[@]}" "output=$RUN/$name"
}
wants() { case " $ADAPTERS " in *" $1 "*) ;; *) return 1 ;; esac; }
union() {
  stage UNION union-first union union
  ! wants union || stage UNION_JUDGED union union union "adapter.begin=$RUN/union-first/union.safetensors" $JUDGED
}
others() {
  if wants tracks; then
    stage TRACKS tracks-first tracks tracks
    stage TRACKS_JUDGED tracks tracks tracks "adapter.begin=$RUN/tracks-first/tracks.safetensors" $TRACKS_JUDGED
  fi
  if wants risograph; then
    pairs "${STYLE_CLIPS:-768}" --style risograph
    stage STYLE risograph risograph risograph
  fi
}
one_way() {
  stage ONE_WAY one-way-first union-one-way union "adapter.begin=$RUN/union-first/union.safetensors"
  stage ONE_WAY_JUDGED union-one-way union-one-way union \
    "adapter.begin=$RUN/one-way-first/union-one-way.safetensors" $JUDGED
}

first_lane() { if wants union || wants union-one-way; then union; fi; }
second_lane() {
  others
  wants union-one-way || return 0
  # The other lane makes what this begins with.
  while [ -n "${first:-}" ] && [ ! -e "$RUN/union-first/union.safetensors" ] && kill -0 "$first" 2>/dev/null; do sleep 1; done
  one_way
}
lane() { # FUNCTION GPUS
  trap 'jobs -p | xargs -r kill 2>/dev/null || true' EXIT
  MINE=$2
  "$1"
}

if wants union || wants tracks || wants union-one-way; then pairs "${CLIPS:-2304}"; fi
if [ "$GPUS" -gt 1 ]; then
  lane first_lane "$(gpus 0 $((GPUS / 2 - 1)))" & first=$!
  lane second_lane "$(gpus $((GPUS / 2)) $((GPUS - 1)))" & second=$!
  wait "$first"
  wait "$second"
else
  (lane first_lane "$(gpus 0)")
  (lane second_lane "$(gpus 0)")
fi

INSTALL=${INSTALL-src/iclora/tiny/adapters}
if [ -n "$INSTALL" ]; then
  mkdir -p "$INSTALL"
  for name in $ADAPTERS; do
    if [ "$name" = tracks ]; then # 7 % of what it does is lost, and two thirds of its size
      "$PYTHON" -m toyworld.resize "$RUN/tracks/tracks.safetensors" "$INSTALL/tracks.safetensors" --rank 12
    else
      cp "$RUN/$name/$name.safetensors" "$INSTALL/"
    fi
  done
  du -h "$INSTALL"/*.safetensors
  echo "installed in $INSTALL"
fi
