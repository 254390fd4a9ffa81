"""Three-way merge of configuration by field: the target, plus what the source changed since the last promotion.

In: files (`three_way`) or whole environments (`trees`) as they were in the source at the last promotion, as they are in
the source now, and in the target now. Out: new bytes for the target, in which only changed fields differ; or conflicts.
"""

from penstock.merge.files import three_way
from penstock.merge.outcome import MASK, Choice, Conflict, FieldChange, FileMerge, Kept, Note, TreeMerge
from penstock.merge.trees import trees

__all__ = ["MASK", "Choice", "Conflict", "FieldChange", "FileMerge", "Kept", "Note", "TreeMerge", "three_way", "trees"]
