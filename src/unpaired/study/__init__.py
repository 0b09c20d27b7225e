"""The human study: can people tell a generated picture from a real one?"""
