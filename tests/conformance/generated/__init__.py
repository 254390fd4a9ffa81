"""Random kustomization trees, built by the real kustomize and by us, and compared byte by byte."""
