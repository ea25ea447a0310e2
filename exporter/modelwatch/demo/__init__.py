"""The demo: real flights, a model that predicts their delay, an upstream fault, and the alert about it."""
