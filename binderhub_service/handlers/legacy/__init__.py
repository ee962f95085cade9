"""APIs of older services, as translations: binder-build and binder-registry."""
