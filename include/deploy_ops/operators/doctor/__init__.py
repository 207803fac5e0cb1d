"""The steps of the doctor: is the policy whole, and how does each project stand; they write nothing outside."""
