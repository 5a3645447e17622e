"""Names of modules, official and diffusers'."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iclora.adapters import diffusers_name, official_name
from tests.small_models import transformer


@pytest.mark.parametrize(
    ("official", "ours"),
    [
        ("patchify_proj", "proj_in"),
        ("audio_prompt_adaln_single.linear", "audio_prompt_adaln.linear"),
        ("av_ca_v2a_gate_adaln_single.linear", "av_cross_attn_audio_v2a_gate.linear"),
        ("transformer_blocks.3.attn1.q_norm", "transformer_blocks.3.attn1.norm_q"),
        (
            "transformer_blocks.3.scale_shift_table_a2v_ca_video",
            "transformer_blocks.3.video_a2v_cross_attn_scale_shift_table",
        ),
        ("transformer_blocks.3.audio_attn2.to_out.0", "transformer_blocks.3.audio_attn2.to_out.0"),
    ],
)
def test_names(official: str, ours: str) -> None:
    assert diffusers_name(official) == ours
    assert diffusers_name(ours) == ours
    assert official_name(ours) == official


@given(st.sampled_from([name for form in ("2.0", "2.3") for name in transformer(form).state_dict()]))
def test_every_parameter_finds_its_way_back(name: str) -> None:
    assert diffusers_name(official_name(name)) == name
