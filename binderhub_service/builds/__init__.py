"""All policy of builds, free of web frameworks and modes: who may ask, whose turn it is, how long it may take, how it ends."""
