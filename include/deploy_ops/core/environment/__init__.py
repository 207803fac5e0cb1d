"""What a preview's Airflow finds in its environment beside the template: mapped connections, variables, texts.

Says which keys a mapping gives and where each value comes from. Reads no value; the policy's models hold the mapping.
"""
