"""What is done with data and models: training, exporting, measuring, labelling, beginning anew."""
