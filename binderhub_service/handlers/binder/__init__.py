"""What BinderHub's clients ask for, in BinderHub's words; a translation of what the rest of the service does."""
