"""Whether references look at the target, and what is kept of them between steps."""

from __future__ import annotations

from collections.abc import Sequence

from iclora.errors import RequestError
from iclora.geometry import LatentGrid
from iclora.plan.facts import ModelFacts, kept_values
from iclora.plan.values import Findings, PlannedAdapter, PlannedCache, PlannedReference, Request
from iclora.transformer import CachePolicy

OFF = PlannedCache()


def looks_one_way(adapters: Sequence[PlannedAdapter], findings: Findings) -> bool:
    """Decide whether references are one-way: as the adapters that follow a control were trained.

    Args:
        adapters: The adapters to attach.
        findings: What is said is added here.

    Returns:
        Whether references do not look at the target.
    """
    one_way = [one.name for one in adapters if one.reference_attention == "one_way"]
    two_way = [one.name for one in adapters if one.reference_attention == "two_way" and one.controls]
    if one_way and two_way:
        findings.error(
            f"References of '{one_way[0]}' do not look at the video (one_way), those of '{two_way[0]}' do.",
            advice="Use one of these adapters at a time.",
            about="adapter",
        )
    unsaid = [
        one.name for one in adapters if one.reference_attention is None and one.downscale_source != "default"
    ]
    if one_way and unsaid:
        findings.warning(
            f"'{unsaid[0]}' has references as well and does not say whether they look at the video; here "
            f"none do, as '{one_way[0]}' was trained one_way.",
            advice="Adapters that do not say were trained with two_way ones: use one kind at a time.",
            about="adapter",
        )
    return bool(one_way)


def keep_references(
    request: Request,
    facts: ModelFacts,
    grid: LatentGrid,
    references: Sequence[PlannedReference],
    findings: Findings,
    *,
    one_way: bool,
) -> PlannedCache:
    """Decide what is kept of references between steps, and count its memory.

    Args:
        request: What is asked for.
        facts: The model.
        grid: Latent grid of the result.
        references: The references as the model will be given them.
        findings: What is said is added here.
        one_way: Whether references do not look at the target.

    Returns:
        What is kept; nothing where that gains nothing, which is then said.
    """
    try:
        policy = CachePolicy.parse(request.reference_cache)
    except RequestError as error:
        findings.error(str(error), advice="Left out, it is off.")
        return OFF
    if policy is None:
        return OFF
    if policy.every is None and references and not _can_be_exact(references, findings, one_way=one_way):
        return OFF
    pictures = [image for image in request.images if image.frame > 0]
    among_them = request.isolate is False and len(references) + len(pictures) > 1
    stays = among_them or facts.recipe.has_audio  # somebody sees it, though the target does not
    seen = [one for one in references if one.attention_strength > 0 or stays]
    items = [(grid.height * grid.width, image.strength < 1) for image in pictures]
    items += [(one.grid.num_tokens, one.strength < 1) for one in seen]
    num_tokens = policy.num_keepable(items, len(seen) if one_way else 0)
    idle = _idle(policy, num_tokens, moves=any(moves for _, moves in items))
    if idle:
        findings.warning(f"The reference cache does nothing: {idle}.", advice="Leave it out.")
        return OFF
    if policy.every is not None:
        num_steps = len(facts.recipe.sigmas) - 1
        _say_approximation(policy, policy.every, num_steps, findings, one_way=one_way and bool(seen))
    has_audio = facts.recipe.has_audio
    passes = request.more_guidance.num_passes(request.guidance_scale, has_audio=has_audio)
    num_bytes = passes * num_tokens * kept_values(facts) * policy.bytes_per_value(request.dtype)
    return PlannedCache(mode=request.reference_cache, num_tokens=num_tokens, num_bytes=num_bytes)


def _can_be_exact(references: Sequence[PlannedReference], findings: Findings, *, one_way: bool) -> bool:
    """Refuse to keep exactly what changes in every step."""
    if not one_way:
        findings.error(
            "The reference cache 'exact' needs an adapter trained one_way: the references of others look at "
            "the noisy video, so they change in every step.",
            advice="Say every:2 or more to keep them for some steps, an approximation, or off.",
        )
        return False
    noised = [one for one in references if one.strength < 1]
    for one in noised:
        findings.error(
            f"{one.label}: at strength {one.strength:g} it is noised, so it changes in every step; the "
            "reference cache 'exact' keeps clean references alone.",
            advice="Leave its strength at 1, or say off.",
        )
    return not noised


def _idle(policy: CachePolicy, num_tokens: int, *, moves: bool) -> str:
    """Why a policy gains nothing; empty where it gains something."""
    if policy.every == 1:
        return "every:1 computes references in every step, as off does"
    if num_tokens:
        return ""
    if moves:
        return "references of a strength below 1 change in every step, and nothing before them is kept either"
    return "there is no reference that is seen"


def _say_approximation(
    policy: CachePolicy, every: int, num_steps: int, findings: Findings, *, one_way: bool
) -> None:
    if policy.store == "fp8":
        findings.note(
            "What is kept of references is rounded to 8 bits a value: an approximation.",
            advice="Without ,fp8 it is kept as it is.",
        )
    if one_way:
        exact = "exact,host" if policy.store == "host" else "exact"
        findings.note(
            "The adapter was trained one_way: its references can be kept for all steps, without loss.",
            advice=f"Ask for the reference cache '{exact}'.",
        )
        return
    times = -(-num_steps // every)
    findings.note(
        f"References are computed in {times} of {num_steps} steps and kept between: an approximation.",
        advice="A smaller K computes them more often, off in each.",
    )
