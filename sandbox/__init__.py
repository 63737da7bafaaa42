"""Stand-ins for Stripe, the SSO provider and the settings of a deployment.

Production never runs them: the service's settings.py refuses to start with a sandbox's addresses.
"""
