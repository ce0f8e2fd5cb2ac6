"""The commands: parse, call one function, print (INTERFACE, section 3). `worker.cli.__main__` is where they begin."""
