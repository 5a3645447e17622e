"""Clips and films as the bytes of mp4, webm and gif files: the same clip always gives the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import IO

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from jaxtyping import UInt8

from iclora.clip import Audio, Clip, Film
from iclora.errors import OutputError

_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
# The bytes depend on how many threads the encoder has, so their number is fixed, not taken from the machine.
_NUM_THREADS = 4
_BITEXACT = {"fflags": "+bitexact"}  # no dates, no random ids
_SLOWEST_FPS = 1 / 600  # a GIF frame lasts at most 655 seconds, and rates are kept as fractions of 1001


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How a kind of video file is written."""

    container: str
    video_codec: str
    video_options: dict[str, str]
    audio_codec: str
    audio_rates: tuple[int, ...]


MP4 = Encoding(
    container="mp4",
    video_codec="libx264",
    # With macroblock-tree rate control two runs can differ (seen at heights that are no multiple of 16).
    video_options={"crf": "17", "preset": "medium", "x264-params": "mbtree=0"},
    audio_codec="aac",
    audio_rates=(48000, 44100, 96000, 88200, 64000, 32000, 24000, 22050, 16000, 12000, 11025, 8000),
)
WEBM = Encoding(
    container="webm",
    video_codec="libvpx-vp9",
    video_options={"crf": "24", "b": "0", "deadline": "good", "cpu-used": "4"},
    audio_codec="libopus",
    audio_rates=(48000,),
)


def encode_video(
    clip: Clip | Film,
    encoding: Encoding,
    file: IO[bytes],
    *,
    progress: Callable[[int, int | None], None],
) -> None:
    """Encode a clip, or a film as it is gone through, with its sound if it has any.

    The pictures are BT.709 YUV 4:2:0, which needs even sizes: an odd last row or column is written twice.

    Args:
        clip: What to write.
        encoding: `MP4` or `WEBM`.
        file: Where to, open for writing and seeking.
        progress: Called with the frames encoded so far and the total.

    Raises:
        OutputError: The encoder refuses the size or rate, or the file cannot hold that many sound channels.
    """
    _check_rate(clip)
    sound = None if clip.audio is None or clip.audio.samples.shape[1] == 0 else clip.audio
    try:
        with av.open(file, "w", format=encoding.container, options=_BITEXACT) as container:
            video = _add_video(container, clip, encoding)
            audio = None if sound is None else _add_audio(container, sound, encoding)
            for index, picture in enumerate(clip.frames):
                frame = _yuv_frame(picture)
                frame.pts, frame.time_base = index, video.codec_context.time_base
                container.mux(video.encode(frame))
                progress(index + 1, clip.num_frames)
            container.mux(video.encode(None))
            if sound is not None and audio is not None:
                _mux_audio(container, audio, sound)
    except av.FFmpegError as error:
        raise _refused(encoding.video_codec, clip, error) from error


def encode_gif(clip: Clip | Film, file: IO[bytes], *, progress: Callable[[int, int | None], None]) -> None:
    """Encode a clip as an endless GIF animation with one palette for the whole clip, which is held for it.

    Args:
        clip: What to write. GIF counts time in hundredths of a second: frame durations alternate so that
            the clip keeps its length. Rates above 100 frames per second cannot be held.
        file: Where to, open for writing and seeking.
        progress: Called with the frames encoded so far and the total.

    Raises:
        OutputError: The clip has more than 100 frames per second, or the encoder refuses its size.
    """
    _check_rate(clip)
    if clip.fps > 100:
        raise OutputError(f"GIF holds at most 100 frames per second, not {clip.fps:g}; write .mp4 instead.")
    try:
        with av.open(file, "w", format="gif", options=_BITEXACT) as container:
            stream = container.add_stream("gif", rate=Fraction(clip.fps).limit_denominator(1001))
            stream.width, stream.height, stream.pix_fmt = clip.width, clip.height, "pal8"
            stream.codec_context.time_base = Fraction(1, 100)
            for index, frame in enumerate(_with_palette(clip)):
                frame.pts = round(index * 100 / clip.fps)
                frame.time_base = Fraction(1, 100)
                container.mux(stream.encode(frame))
                progress(index + 1, clip.num_frames)
            container.mux(stream.encode(None))
    except av.FFmpegError as error:
        raise _refused("gif", clip, error) from error


def _check_rate(clip: Clip | Film) -> None:
    if clip.fps < _SLOWEST_FPS:
        raise OutputError(
            f"A frame every {1 / clip.fps:g} seconds is too slow for a video; write a folder of pictures, or "
            f"resample to {_SLOWEST_FPS:.4f} frames per second or more."
        )


def _refused(encoder: str, clip: Clip | Film, error: av.FFmpegError) -> OutputError:
    return OutputError(
        f"The encoder {encoder} cannot write {clip.width}x{clip.height} pixels at {clip.fps:g} frames per "
        f"second ({error.strerror}); choose another size, rate or kind."
    )


def _with_palette(clip: Clip | Film) -> Iterable[av.VideoFrame]:
    """Quantise to 256 colours chosen from all frames."""
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=clip.width, height=clip.height, format=av.VideoFormat("rgb24"), time_base=Fraction(1, 100)
    )
    split, palette, use, sink = (
        graph.add(name, arguments)
        for name, arguments in (
            ("split", None),
            ("palettegen", "stats_mode=full"),
            ("paletteuse", "dither=sierra2_4a"),
            ("buffersink", None),
        )
    )
    source.link_to(split)
    split.link_to(use, 0, 0)
    split.link_to(palette, 1, 0)
    palette.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    for index, picture in enumerate(clip.frames):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts, frame.time_base = index, Fraction(1, 100)
        source.push(frame)
    source.push(None)
    for _ in range(clip.num_frames):
        quantised = sink.pull()
        assert isinstance(quantised, av.VideoFrame)
        yield quantised


def _add_video(
    container: av.container.OutputContainer, clip: Clip | Film, encoding: Encoding
) -> av.VideoStream:
    rate = Fraction(clip.fps).limit_denominator(1001)
    stream = container.add_stream(encoding.video_codec, rate=rate, options=dict(encoding.video_options))
    assert isinstance(stream, av.VideoStream)
    stream.width, stream.height = clip.width + clip.width % 2, clip.height + clip.height % 2
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.time_base = 1 / rate
    context.thread_count = _NUM_THREADS
    context.color_range = ColorRange.MPEG
    context.colorspace = Colorspace.ITU709
    context.color_primaries = ColorPrimaries.BT709
    context.color_trc = ColorTrc.BT709
    return stream


def _yuv_frame(picture: UInt8[np.ndarray, "h w 3"]) -> av.VideoFrame:
    height, width, _ = picture.shape
    even = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    frame = av.VideoFrame.from_ndarray(even, format="rgb24")
    return frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)


def _add_audio(container: av.container.OutputContainer, audio: Audio, encoding: Encoding) -> av.AudioStream:
    channels = audio.samples.shape[0]
    if channels not in _LAYOUTS:
        raise OutputError(
            f"Cannot write sound of {channels} channels; possible are {', '.join(map(str, _LAYOUTS))}."
        )
    known = audio.sample_rate in encoding.audio_rates
    rate = audio.sample_rate if known else encoding.audio_rates[0]
    stream = container.add_stream(encoding.audio_codec, rate=rate, layout=_LAYOUTS[channels])
    assert isinstance(stream, av.AudioStream)
    return stream


def _mux_audio(container: av.container.OutputContainer, stream: av.AudioStream, audio: Audio) -> None:
    context = stream.codec_context
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(audio.samples), format="fltp", layout=context.layout.name
    )
    frame.sample_rate = audio.sample_rate
    frame.pts = 0
    frame.time_base = Fraction(1, audio.sample_rate)
    resampler = av.AudioResampler(
        format=context.format, layout=context.layout, rate=context.sample_rate, frame_size=context.frame_size
    )
    for part in [*resampler.resample(frame), *resampler.resample(None)]:
        container.mux(stream.encode(part))
    container.mux(stream.encode(None))
