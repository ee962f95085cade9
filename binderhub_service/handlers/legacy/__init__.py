"""APIs of older services, as translations: binder-build, binder-registry and boatyard."""
