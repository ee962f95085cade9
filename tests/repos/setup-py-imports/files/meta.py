HELD = True
