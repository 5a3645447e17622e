#!/usr/bin/env bash
# Trains the embedded adapters with `iclora train` and installs them: toyworld/train_adapters.sh [RUN_FOLDER]
# Every stage resumes where it was stopped; run it again until it says "installed".
#
#   pairs ─┬─► union ─► union-one-way      pairs in one style ─► risograph
#          └─► tracks
#
# The settings are those of toyworld/adapters/*.yaml. From the environment come CLIPS, STYLE_CLIPS, HELD_OUT, SIZE, FRAMES,
# FIRST_SEED, GUESSED (see toyworld.pairs), PARTS (processes that render), MODEL, PYTHON, SET (what is set over all
# settings: "compile=false data.batch_size=32"), INSTALL (where to; empty: nowhere), ADAPTERS (which of the four), and
# for each of them UNION_, ONE_WAY_, TRACKS_ and STYLE_STEPS or _MINUTES: so long its steps may take, measured by PROBE
# steps before it. Loading and compiling come on top.
set -euo pipefail
cd "$(dirname "$0")/.."
RUN=${1:-runs/adapters}
PYTHON=${PYTHON:-.venv/bin/python} MODEL=${MODEL:-tiny} PROBE=${PROBE:-60}
ADAPTERS=${ADAPTERS:-union tracks risograph union-one-way}
GPUS=$("$PYTHON" -c 'import torch; print(max(1, torch.cuda.device_count()))')
PARTS=${PARTS:-$((8 * GPUS))}
export PYTHONPATH=src:.${PYTHONPATH:+:$PYTHONPATH}

trap 'jobs -p | xargs -r kill 2>/dev/null || true' EXIT
pairs() { # CLIPS [OPTION]...: renders and encodes in PARTS processes; fails if one does
  local started=() part job
  for part in $(seq 0 $((PARTS - 1))); do
    CUDA_VISIBLE_DEVICES=$((part % GPUS)) "$PYTHON" -m toyworld.pairs "$RUN/pairs" --model "$MODEL" \
      --shard "$part/$PARTS" --clips "$@" ${HELD_OUT:+--held-out "$HELD_OUT"} ${SIZE:+--size "$SIZE"} \
      ${FRAMES:+--frames "$FRAMES"} ${FIRST_SEED:+--first-seed "$FIRST_SEED"} ${GUESSED:+--guessed "$GUESSED"} &
    started+=($!)
  done
  for job in "${started[@]}"; do wait "$job"; done
}
iclora_train() { # CONFIG [KEY=VALUE]...: on all GPUs
  local words=(-m iclora.cli train "$1") change
  for change in "model=$MODEL" ${SET:-} "${@:2}"; do words+=(--set "$change"); done
  [ "$GPUS" -eq 1 ] || words=(-m torch.distributed.run --standalone --nproc-per-node "$GPUS" "${words[@]}")
  "$PYTHON" "${words[@]}" & wait $!
}
adapter() { # VARIABLE NAME PAIRS [KEY=VALUE]...: as long as VARIABLE_STEPS or VARIABLE_MINUTES says
  local steps=$1_STEPS minutes=$1_MINUTES name=$2 config=toyworld/adapters/$2.yaml
  local said=("data.path=$RUN/pairs/$3" "${@:4}")
  [[ " $ADAPTERS " == *" $name "* && ! -e "$RUN/$name/$name.safetensors" ]] || return 0
  if [ -n "${!minutes:-}" ]; then
    if [ ! -e "$RUN/probe/$name.steps" ]; then
      iclora_train "$config" "${said[@]}" "output=$RUN/probe/$name" "steps=$PROBE" "save.every=$PROBE" \
        watch.held_out_every=0 "watch.log_every=$((PROBE / 2))"
      "$PYTHON" -m toyworld.minutes "$RUN/probe/$name/log.jsonl" "${!minutes}" >"$RUN/probe/new"
      mv "$RUN/probe/new" "$RUN/probe/$name.steps"
    fi
    said+=("steps=$(<"$RUN/probe/$name.steps")")
  elif [ -n "${!steps:-}" ]; then
    said+=("steps=${!steps}")
  fi
  iclora_train "$config" "${said[@]}" "output=$RUN/$name"
}

case " $ADAPTERS " in *" union "* | *" tracks "* | *" union-one-way "*) pairs "${CLIPS:-2304}" ;; esac
case " $ADAPTERS " in *" risograph "*) pairs "${STYLE_CLIPS:-768}" --style risograph ;; esac
adapter UNION union union
adapter TRACKS tracks tracks
adapter STYLE risograph risograph
adapter ONE_WAY union-one-way union "adapter.begin=$RUN/union/union.safetensors"

INSTALL=${INSTALL-src/iclora/tiny/adapters}
if [ -n "$INSTALL" ]; then
  mkdir -p "$INSTALL"
  for name in $ADAPTERS; do cp "$RUN/$name/$name.safetensors" "$INSTALL/"; done
  du -h "$INSTALL"/*.safetensors
  echo "installed in $INSTALL"
fi
