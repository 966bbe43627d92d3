"""Tools for developers: checks, generated documentation, the test runner, screenshots."""
