"""A rehearsal: the whole journey to a cloud against an emulator on this machine, free, before it costs anything."""
