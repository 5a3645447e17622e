"""`python -m iclora`, which is `iclora`: what `torchrun -m` wants."""

from iclora.cli import main

if __name__ == "__main__":
    main()
