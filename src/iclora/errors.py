"""Every exception this package raises on purpose: one tree.

```
IcloraError                     catch this to catch them all; the command line prints one line, exit 1
├── InputError                  what was handed in cannot be used
│   ├── MediaError              a file or folder that cannot be read as pictures, video or sound
│   ├── DatasetError            a dataset, or a folder prepared from one, that cannot be trained on
│   └── RequestError            a size, count, prompt or option that cannot be met
│       └── NothingToFollowError    a control, or the part of it asked about, holds nothing to compare with
├── OutputError                 a result that cannot be written: it exists, no permission, the disk is full
├── AdapterError                an adapter file that is damaged, unknown in part, or made for another base
├── ModelError                  a checkpoint that is missing, damaged or of an unknown kind
├── TrainingError               a training that cannot go on: a loss that is not finite
└── MissingDependencyError      an optional package is not installed; the message holds the install command
```

A message says what was wrong, the value, what is accepted, and what to do.
"""


class IcloraError(Exception):
    """The root of the tree."""


class InputError(IcloraError):
    """What was handed in cannot be used."""


class MediaError(InputError):
    """A file or folder cannot be read as pictures, video or sound."""


class DatasetError(InputError):
    """A dataset, or a folder prepared from one, cannot be trained on."""


class RequestError(InputError):
    """A size, count, prompt or option cannot be met."""


class NothingToFollowError(RequestError):
    """A control, or the part of it that is asked about, holds nothing that a result could follow."""


class OutputError(IcloraError):
    """A result cannot be written."""


class AdapterError(IcloraError):
    """An adapter file is damaged, unknown in part, or made for another base."""


class ModelError(IcloraError):
    """A checkpoint is missing, damaged or of an unknown kind."""


class TrainingError(IcloraError):
    """A training cannot go on."""


class MissingDependencyError(IcloraError):
    """An optional package is not installed."""
