"""From what should be and what is to what to do: order, ownership, plan, prune. Pure: a plan is a value."""
