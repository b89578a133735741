"""The dashboard: what the stages published, for people who price and keep customers. The only door to Streamlit."""
