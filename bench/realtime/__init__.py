"""A study of real time: the event stream beside a Bun server that only sends to its sockets."""
