"""Attention strengths and masks as attention weights.

The softmax weight of a pair (target token, reference token j) is multiplied by ``w_j``: ``log w_j`` is
added to the score, in both directions. Items that do not see each other are pairs of weight 0:

                  keys:  target+open     item 1        item 2
    queries:  target        1             w_1           w_2
              open          1              0             0
              item 1   w_1 (target)        1             0
              item 2   w_2 (target)        0             1

*Open* are the items appended before the first weighted one: all of them see each other (official rule).

In sampling, each row of that table is attended to in pieces, by an unmasked kernel that also returns the
logarithm of the sum of its exponentials, and the pieces are merged exactly:

    out = sum_i w_i exp(lse_i) out_i / sum_i w_i exp(lse_i)

A piece has one weight for each query. Where the tokens of an item have different ones (a mask), ``log w`` is
added to the scores inside that piece: as a bias of each key where the kernel is cuDNN's, which takes one of
the keys alone; elsewhere by a few more query/key columns, since what is added to a score is a number of the
query times a number of the key (three columns, so that half precision holds all digits of the logarithm).
Where gradients are wanted, which the logarithm of the sum has none of, all keys are widened so. Nowhere is a
tensor of tokens x tokens made.
"""

from iclora.attention.mixing import KeyValue, attend, attend_apart, attend_parts, part_sizes
from iclora.attention.pairs import PairWeights, dense_weights, one_way_groups, pair_weights

__all__ = [
    "KeyValue",
    "PairWeights",
    "attend",
    "attend_apart",
    "attend_parts",
    "dense_weights",
    "one_way_groups",
    "pair_weights",
    "part_sizes",
]
