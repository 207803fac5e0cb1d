"""The tasks of `<project>.commands`: read what people say on pull requests, start what they may ask for, answer.

What goes wrong here stops no deploy. Nothing is done twice: our own reaction on the comment is the mark.
"""
