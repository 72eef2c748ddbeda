"""What is asked for and planned -> the files that start it: values in, texts out."""
