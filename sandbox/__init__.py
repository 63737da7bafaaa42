"""Stand-ins for what lies outside: Stripe, the SSO provider, and the settings of a deployment.

Production never runs any of it: settings.py refuses to start with a sandbox's addresses.
"""
