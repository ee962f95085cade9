"""How a detached build process makes an image: one file per way. Each has ``make_image(job, tell, environment)``."""
