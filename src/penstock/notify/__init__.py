"""Notifications, decided: what happened between two looks, who is told by which rule, in which words, how often. Pure.

facts      plain values of one look at the fleet
deciding   facts before, facts after             -> messages
routing    messages, rules from Git              -> deliveries
wording    a message, a dialect                  -> text or JSON in which nothing that people wrote is markup
pacing     deliveries, the time                  -> now, later, or dropped and counted
"""
