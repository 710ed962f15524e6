"""Many runs side by side: their results as a table and as a picture."""
