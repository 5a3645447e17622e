"""Videos that several processes share: `python -m tests.transformer.shared_videos RANK SIZE FOLDER`."""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from iclora.reference import TokenSequence, assemble, reference_tokens
from iclora.sampling import Latents, Prompt, denoiser
from iclora.transformer import CachePolicy, Perturbation, split_over
from tests.small_models import (
    CHANNELS,
    FACTORS,
    audio_target,
    contexts,
    control,
    keyframe,
    transformer,
    video_target,
)

MASK = torch.tensor([[0.0, 0.3, 1.0], [0.0, 0.0, 0.7]])
WEIGHTED: list[dict[str, Any]] = [{}, {"attention_strength": 0.4}]
CASES: dict[str, dict[str, Any]] = {
    "no reference": {"items": []},
    "silent": {"items": WEIGHTED, "audio": False},
    "strengths": {"items": WEIGHTED},
    "masked": {"items": [{"attention_mask": MASK}, {"strength": 0.5}], "batch": 2},
    "odd": {"items": [{"attention_strength": 0.4}], "odd": True},
    "kept": {"items": WEIGHTED, "cache": CachePolicy(every=2)},
    "one way": {"items": WEIGHTED, "one_way": True, "cache": CachePolicy(every=None)},
    "values alone": {"items": WEIGHTED, "perturbation": Perturbation(values_only_blocks=(1,))},
    "apart": {"items": WEIGHTED, "perturbation": Perturbation(cross_modal=False)},
}

FORM = "2.5"
"""The form that has all there is."""
COMPILED = "compiled, kept"


def laid_out(
    items: list[dict[str, Any]], *, batch: int = 1, odd: bool = False, one_way: bool = False, **_: Any
) -> TokenSequence:
    """Lay out a case; 15 tokens where they shall be odd."""
    target = video_target(batch=batch)
    target.mask[:, :6] = 0  # a first frame
    appended = [] if odd else [keyframe(batch=batch)]
    if odd:
        latent = torch.ones(batch, CHANNELS, 1, 1, 3)
        appended = [reference_tokens(latent, factors=FACTORS, fps=24.0, **dials) for dials in items]
    else:
        appended += [control(batch=batch, seed=seed, **dials) for seed, dials in enumerate(items)]
    return assemble(target, appended, num_one_way=len(items) if one_way else 0)


def made(model: Any, case: dict[str, Any]) -> list[Tensor]:
    """Take two steps and return what is guessed in each, video and audio."""
    sequence, sound = laid_out(**case), audio_target(batch=case.get("batch", 1))
    video, audio = contexts(model, batch=len(sequence.clean))
    heard = sound if case.get("audio", True) else None
    denoise = denoiser(
        model,
        Prompt(video=video, audio=audio),
        sequence,
        heard,
        perturbation=case.get("perturbation"),
        reference_cache=case.get("cache"),
    )
    generator = torch.Generator().manual_seed(0)
    noise, hiss = (torch.randn(one.clean.shape, generator=generator) for one in (sequence, sound))
    found = []
    with torch.inference_mode():
        for sigma in (1.0, 0.6):
            guess = denoise(Latents(video=noise, audio=None if heard is None else hiss), sigma)
            found += [guess.video] + ([] if guess.audio is None else [guess.audio])
    return found


def main(rank: int, size: int, folder: Path) -> None:
    """Be one of the processes."""
    torch.set_num_threads(1)
    store = torch.distributed.FileStore(str(folder / "store"), size)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=size, store=store)
    model = transformer(FORM)
    split_over(model, size)
    found = {name: made(model, case) for name, case in CASES.items()}
    # One graph for a block, with what goes from process to process in it.
    torch.compile = partial(torch.compile, backend="eager", fullgraph=True)
    model.compile_repeated_blocks()
    found[COMPILED] = made(model, CASES["kept"])
    torch.save(found, folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
