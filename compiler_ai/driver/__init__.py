"""The compile path: argv, options, project lookup and the `as` shim."""
