"""The whole system on one machine: emulators, stand-ins, Gmail simulator, demo."""
