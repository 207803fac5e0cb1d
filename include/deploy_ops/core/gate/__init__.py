"""What a deploy waits for beside a person: checks, another target's proof, a time to soak, the hours of the day.

Each gate is a pure judgement: met, or not yet, why, and from when on it may be. It reads nothing and waits for nothing.
"""
