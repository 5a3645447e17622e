"""Files to `Clip` and back, and the plain things done to clips: size, clock, pictures.

```
 path ─► reading ─┬─ video_reader    anything FFmpeg decodes, with rotation, uneven clocks and sound
                  └─ picture_reader  stills, GIF and WebP animations, picture sequences
         value_reader  numbers rather than colours: depth of renderers; exr_reader
                            │
                           Clip ─► shaping (size), timing (clock), sheets (side by side, contact sheet)
                            ┊                        charts (curves)
                            │
                         writing ─┬─ video_writer    mp4, webm, gif as bytes
                                  └─ files           a temporary sibling, then a rename: whole or not at all
```
"""

from iclora.media.charts import Curve, line_chart
from iclora.media.reading import film, read
from iclora.media.room import MAX_SIDE_PX
from iclora.media.shaping import resize
from iclora.media.sheets import contact_sheet, side_by_side
from iclora.media.timing import MAX_RATE, resample
from iclora.media.value_reader import Values, film_values, read_values
from iclora.media.writing import check_output, save, save_image

__all__ = [
    "Curve",
    "MAX_RATE",
    "MAX_SIDE_PX",
    "Values",
    "check_output",
    "contact_sheet",
    "film",
    "film_values",
    "line_chart",
    "read",
    "read_values",
    "resample",
    "resize",
    "save",
    "save_image",
    "side_by_side",
]
