"""The words of a plan and its timing: work, holds, what is remembered, delays, brake and caps.

Does not know why something is due: `core/preview`, `core/target`, `core/promotion` and `core/cleanup` compare.
"""
