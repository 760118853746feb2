"""What a person labels: the store of answers, the label table, exchange with other tools."""
