"""What people are shown: one row per environment, made of observation, plan and endings; and pages in a run.

Puts into words what was decided; decides nothing about work.
"""
