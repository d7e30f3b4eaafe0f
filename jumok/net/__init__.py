"""Net: the model in torch, its parts, its loss and its gradients."""
