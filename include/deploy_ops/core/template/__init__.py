"""The Deployment template: checked, merged with the policy and rendered for one branch, as data.

Asks Astro nothing: its options are handed in. Writes no file.
"""
