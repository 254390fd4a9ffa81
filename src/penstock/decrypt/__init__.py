"""SOPS files to plain text. No I/O, nothing on disk: ciphertext and a data key in, bytes out.

`opening.Opener` is what a build calls for each file it reads; `sealed` finds out what is encrypted and how; `cipher` and
`rules` are SOPS' own arithmetic; a module per store (`yamlstore`, `stores`) knows where values stand in a file.
"""
