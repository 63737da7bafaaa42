"""Code that every app uses. It knows nothing about the business, and it imports no app."""
