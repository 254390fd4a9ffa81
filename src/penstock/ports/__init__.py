"""What Penstock needs from the outside world, as Protocols. Adapters and the sandbox stand behind them."""
