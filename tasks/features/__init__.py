"""The waist: views of features and what is known of each row, above which nothing knows a modality."""
