"""Promotion, decided: what travels, whether it may, what to do next, and the words for it. Pure; values in, values out.

records    trailers of commits                         -> promotions that landed, the base of the next one
change     trees of base, source, target               -> the files to write, conflicts
evidence   a Kustomization's status, what Git renders  -> whether it ran healthy, since when
gates      evidence, reviews, rules, the time          -> passed, waiting until, failed because
verdict    rendered objects of both sides              -> the difference table and one sentence
deciding   all of it                                   -> one action
text       all of it                                   -> title, text, commit message
"""
