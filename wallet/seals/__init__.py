"""Seals: rows that prove later that history was not changed since. (The books are proven by their laws.)"""
