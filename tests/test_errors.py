import pytest

from iclora import errors

TREE = {
    errors.IcloraError: Exception,
    errors.InputError: errors.IcloraError,
    errors.MediaError: errors.InputError,
    errors.DatasetError: errors.InputError,
    errors.RequestError: errors.InputError,
    errors.NothingToFollowError: errors.RequestError,
    errors.OutputError: errors.IcloraError,
    errors.AdapterError: errors.IcloraError,
    errors.ModelError: errors.IcloraError,
    errors.TrainingError: errors.IcloraError,
    errors.MissingDependencyError: errors.IcloraError,
}


@pytest.mark.parametrize("kind", TREE)
def test_every_exception_hangs_where_it_is_drawn(kind: type[Exception]) -> None:
    assert kind.__bases__ == (TREE[kind],)
    assert errors.__doc__ is not None and kind.__name__ in errors.__doc__


def test_the_tree_is_complete() -> None:
    defined = {value for value in vars(errors).values() if isinstance(value, type)}
    assert defined == set(TREE)


def test_the_message_is_kept() -> None:
    assert str(errors.MediaError("There is no file a.mp4.")) == "There is no file a.mp4."
